"""The technician's page: live pictures, drawing, alerts and problems in a browser."""
