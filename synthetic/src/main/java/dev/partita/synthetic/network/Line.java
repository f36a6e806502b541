package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.Channel.TransferRange;
import dev.partita.vmbus.Gpadl;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A channel, as far as the NIC needs one: what it does can be tried without a bus. Methods are
/// those of {@link Channel}.
interface Line {
  /// 0 of the device's first channel.
  int subChannel();

  boolean restored();

  GuestMemory memory();

  @Nullable Gpadl gpadl(int id);

  boolean complete(long transactionId, byte[] payload);

  /// Sends a packet that the guest does not answer.
  boolean send(byte[] payload);

  boolean sendTransferPages(
      long transactionId, int pageSet, List<TransferRange> ranges, byte[] payload);

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
      public @Nullable Gpadl gpadl(int id) {
        return channel.gpadl(id);
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
      public boolean sendTransferPages(
          long transactionId, int pageSet, List<TransferRange> ranges, byte[] payload) {
        return channel.sendTransferPages(transactionId, pageSet, ranges, payload);
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
