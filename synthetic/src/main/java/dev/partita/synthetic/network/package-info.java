/// The synthetic NIC.
package dev.partita.synthetic.network;
