package dev.partita.synthetic.storage;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Packet;
import java.util.List;
import java.util.Optional;

/// A channel, as far as the controller needs one: what it does can be tried without a bus. Methods
/// are those of {@link Channel}.
interface Line {
  /// 0 of the device's first channel.
  int subChannel();

  boolean restored();

  GuestMemory memory();

  Optional<List<GpaRange>> ranges(Packet packet);

  boolean complete(long transactionId, byte[] payload);

  /// Sends a packet that the guest has not asked for, and that it does not answer.
  boolean send(byte[] payload);

  void execute(Runnable task);

  void offerSubChannels(int count);

  static Line of(Channel channel) {
    return new Line() {
      @Override
      public int subChannel() {
        return channel.offer().subChannel();
      }

      @Override
      public boolean restored() {
        return channel.restored();
      }

      @Override
      public GuestMemory memory() {
        return channel.memory();
      }

      @Override
      public Optional<List<GpaRange>> ranges(Packet packet) {
        return channel.ranges(packet);
      }

      @Override
      public boolean complete(long transactionId, byte[] payload) {
        return channel.complete(transactionId, payload);
      }

      @Override
      public boolean send(byte[] payload) {
        return channel.send(false, 0, payload);
      }

      @Override
      public void execute(Runnable task) {
        channel.execute(task);
      }

      @Override
      public void offerSubChannels(int count) {
        channel.offerSubChannels(count);
      }
    };
  }
}
