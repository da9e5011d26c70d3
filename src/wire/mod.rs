//! The frames centrals exchange. Pure: text in, values out.
