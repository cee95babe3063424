"""What only the hardware itself can show, measured there and written into one signed report: `edged prove`."""
