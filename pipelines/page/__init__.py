"""The look that all reports share: one self-contained HTML file, figures inline, nothing from elsewhere."""
