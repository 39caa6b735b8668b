"""Bodies and query strings of HTTP requests -> what is asked. Names, shapes and limits are PutImage's."""
