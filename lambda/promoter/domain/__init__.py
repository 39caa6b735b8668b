"""Values and rules of promotions, without input or output."""
