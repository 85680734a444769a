"""The kinds that only the blueprint declares: how a certificate comes, spreads and is served."""
