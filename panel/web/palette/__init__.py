"""The pages of one noun: routes, forms, views.
May import: panel.web, panel.services and below."""
