/// Input devices. Protocols as in Linux, `drivers/input/serio/hyperv-keyboard.c`, and OpenVMM,
/// `vm/devices/uidevices`.
@org.jspecify.annotations.NullMarked
package dev.partita.synthetic.input;
