package dev.partita.image;

import java.nio.file.Path;

/// What a boot loader needs to start a guest.
///
/// @param kernel a Linux bzImage
/// @param initrd an initial RAM disk, uncompressed cpio
/// @param commandLine the kernel command line that suits both: the console on the first UART,
///     and a reset in place of a halt when the kernel panics
/// @param kernelRelease the kernel's release as `uname -r` prints it
/// @param description one line for a person: distribution, packages and versions
public record GuestFiles(
    Path kernel, Path initrd, String commandLine, String kernelRelease, String description) {}
