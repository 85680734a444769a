"""Services as their clients see them."""
