/// TCP as an endpoint speaks it (RFC 9293): state machines without threads, sockets or clocks.
package dev.partita.network.tcp;
