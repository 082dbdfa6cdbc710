//! Tests of the parts together, over real sockets and real databases.

mod simulator;
