mod evolution;
mod guards;
mod keys;
mod lake;
mod transaction;
