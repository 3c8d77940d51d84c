"""What is printed: tables, trees, progress. No other package but ``cli`` imports ``rich``."""
