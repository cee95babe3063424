"""What is published, for subscribers: bodies and commands are the source, the other files are generated."""
