"""Parts of a dock that know no layer: forms, jobs, fields, wording."""
