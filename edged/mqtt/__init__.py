"""What is published: topics, messages, the queue before the broker, and Home Assistant's view of it."""
