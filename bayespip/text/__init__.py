"""What people read of a re-analysis as text: numbers, sentences, the summary, tables in the terminal."""
