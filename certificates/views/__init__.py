"""The pages about certificates, the CAs that issue them here, and what these have issued."""
