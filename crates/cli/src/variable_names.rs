//! The variables that a text names.

/// The names in `${NAME}`, `${env:NAME}` and `${NAME:-default}` of a text, in order.
pub(crate) fn variable_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (position, _) in text.match_indices("${") {
        let inside = &text[position + 2..];
        let inside = inside.strip_prefix("env:").unwrap_or(inside);
        let end = inside.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(inside.len());
        let is_variable = inside[end..].starts_with('}') || inside[end..].starts_with(":-");
        if end > 0 && is_variable {
            found.push(inside[..end].to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::variable_names;

    #[test]
    fn references_of_data_are_no_variables() {
        let names = variable_names("${A} ${env:B}/${C:-${D}} ${data.x} ${ {{ $E ${} ${F");
        assert_eq!(names, ["A", "B", "C", "D"]);
    }
}
