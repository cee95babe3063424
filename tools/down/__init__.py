"""How well people who lie on the floor are found, on simulated people: `python -m tools.down`."""
