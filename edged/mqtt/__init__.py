"""The bus on MQTT: queues, connection, requests, subscriptions, an embedded broker, Home Assistant discovery."""
