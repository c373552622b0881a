"""The pages, one module for each thing that an official does."""
