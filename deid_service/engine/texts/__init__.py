"""Who a file is about, and texts without them."""
