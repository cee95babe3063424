"""Any model of the catalogue on any annotated data: prepare, get the weights, infer, score, report."""
