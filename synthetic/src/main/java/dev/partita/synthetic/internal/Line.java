package dev.partita.synthetic.internal;

import dev.partita.vmbus.Channel;

/// What a device that only exchanges messages needs of an open channel. Tests have lines of another
/// make.
public interface Line {
  /// As {@link Channel#restored}.
  boolean restored();

  /// As {@link Channel#send}, with no completion requested.
  boolean send(long transactionId, byte[] payload);

  /// As {@link Channel#execute}.
  void execute(Runnable task);

  /// The line of a channel.
  static Line of(Channel channel) {
    return new Line() {
      @Override
      public boolean restored() {
        return channel.restored();
      }

      @Override
      public boolean send(long transactionId, byte[] payload) {
        return channel.send(false, transactionId, payload);
      }

      @Override
      public void execute(Runnable task) {
        channel.execute(task);
      }
    };
  }
}
