"""The figures the README claims, one command each."""
