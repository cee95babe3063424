"""`edged hardware-report`: measurements that only the target hardware can give, in one signed report."""
