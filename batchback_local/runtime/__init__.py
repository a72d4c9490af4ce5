"""What Lambda and API Gateway do for the app: pass it real events, contexts and requests."""
