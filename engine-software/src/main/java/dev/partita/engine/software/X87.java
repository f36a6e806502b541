package dev.partita.engine.software;

/// The x87 floating-point unit's state, MMX registers included.
final class X87 {}
