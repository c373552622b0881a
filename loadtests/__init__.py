"""Load scenarios: how the service behaves at national scale."""
