"""The published messages: `schema` and `commands` are the source, the JSON and Markdown files are generated."""
