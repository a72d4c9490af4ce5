"""What Lambda and API Gateway do for the app: hand it true events, contexts and requests."""
