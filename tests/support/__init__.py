"""What tests share; no file here is collected."""
