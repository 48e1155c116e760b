"""Moving over from PowerMTA: what one configuration means here, in one report (`postwright migrate check`)."""
