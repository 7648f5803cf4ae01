"""What a person does to objects: every change a value that can be taken back."""
