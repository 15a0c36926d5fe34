//! The bounds of the patterns, each a named constant with its unit. Those that end in `DEFAULT`
//! are changed by an option.
