"""The forms by which certificates are added, made and downloaded."""
