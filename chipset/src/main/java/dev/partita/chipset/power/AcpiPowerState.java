package dev.partita.chipset.power;

/// The saveable state of the ACPI fixed hardware.
///
/// @param status PM1 status
/// @param enable PM1 enable
/// @param control PM1 control
/// @param timer the power management timer when the state was taken, continued to 64 bits
public record AcpiPowerState(int status, int enable, int control, long timer) {}
