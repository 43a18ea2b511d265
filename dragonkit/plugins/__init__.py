"""What a plugin may say (`specs`, and the values it answers with), and how plugins are found and called (`registry`)."""
