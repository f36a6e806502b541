/// The VMBus server.
///
/// There is no public specification. What is here follows the guest's side in Linux
/// (`include/linux/hyperv.h`, `drivers/hv`) and the host's side in OpenVMM (`vm/devices/vmbus`).
///
/// | class | is |
/// |---|---|
/// | {@link dev.partita.vmbus.VmbusServer} | the control plane: a state machine, messages in,
// actions out |
/// | {@link dev.partita.vmbus.Vmbus} | its connection to a partition, and a thread for each open
// channel |
/// | {@link dev.partita.vmbus.VmbusDevice}, {@link dev.partita.vmbus.Channel} | what a synthetic
// device is and sees |
/// | {@link dev.partita.vmbus.IncomingRing}, {@link dev.partita.vmbus.OutgoingRing} | a channel's
// two rings |
package dev.partita.vmbus;
