"""A load generator for any deployment, over the client that users have."""
