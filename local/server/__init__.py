"""The process of a local AWS: ministack, extended by this project, served over HTTP on the loopback interface."""
