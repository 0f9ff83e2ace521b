"""What runs inside the pool's children."""
