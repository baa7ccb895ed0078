"""What is served over HTTP: the JSON API, the dashboard, health and metrics. `app.create` puts them together."""
