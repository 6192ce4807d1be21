"""Drivers: what joins a lever, its store and the SDK that a request leaves through."""
