package dev.partita.engine.software;

final class ModelSpecificRegisters {}
