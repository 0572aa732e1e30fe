//! Which facts entitle a person to a pass, and when: the city's rules as data.
