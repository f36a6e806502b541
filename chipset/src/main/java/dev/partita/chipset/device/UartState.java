package dev.partita.chipset.device;

/// A 16550A's saveable state. Input that the host offered and the guest's UART has not received yet
/// is part of it.
///
/// @param interruptEnable IER
/// @param fifoControl FCR, as last written
/// @param lineControl LCR
/// @param modemControl MCR
/// @param modemStatus MSR, with its delta bits
/// @param modemInputs levels of the modem inputs outside loop mode, as in MSR's bits 7:4
/// @param lineErrors the error bits of LSR
/// @param scratch SCR
/// @param divisor of the baud rate generator
/// @param received the receive FIFO, in order: a byte, and its error bits of LSR above it
/// @param transmitEmptyPending the transmitter-empty interrupt waits
/// @param timeoutPending the character timeout interrupt waits
/// @param input input not received yet, in the same form
public record UartState(
    int interruptEnable,
    int fifoControl,
    int lineControl,
    int modemControl,
    int modemStatus,
    int modemInputs,
    int lineErrors,
    int scratch,
    int divisor,
    short[] received,
    boolean transmitEmptyPending,
    boolean timeoutPending,
    short[] input) {}
